"""The page, tables and terminal output of `edgefair frontier`; computes nothing."""
