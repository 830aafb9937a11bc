"""What the benchmarks share: contenders, rounds in which they take turns, and the tables."""
