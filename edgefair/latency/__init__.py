"""How fast a file is on its runtime: MLPerf's rules, artefacts interleaved, ratios with intervals; imports no torch."""
