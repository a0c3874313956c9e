"""`edgefair quantize`: quantised variants of a finished run, built, judged and compared."""
