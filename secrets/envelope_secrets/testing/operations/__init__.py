"""The operations of the fake service, one file for each kind of them."""
