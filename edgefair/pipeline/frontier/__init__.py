"""`edgefair frontier`: the runs of a sweep as points of accuracy and disparity, from their reports alone."""
