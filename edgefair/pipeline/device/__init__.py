"""The device kit: what a run puts together for a device, and what the device builds from it."""
