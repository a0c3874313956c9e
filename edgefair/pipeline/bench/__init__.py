"""`edgefair bench`: which files are timed, what they are judged by, and the latency stage of the main job."""
