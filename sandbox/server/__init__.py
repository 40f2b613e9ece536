"""HTTP: the application, routes, the contract, control, faults, limits and tokens."""
