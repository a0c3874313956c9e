"""Everything that knows a run folder: the main job, judging, verifying, timing and quantising a run, the device kit."""
