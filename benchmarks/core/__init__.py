"""What all experiments share: the grid, the store, the data sets, and the measurement of costs."""
