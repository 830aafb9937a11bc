"""The same engine for asyncio. Imported when `AsyncClient` is first asked for."""
