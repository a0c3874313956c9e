"""Training of teachers and students: loop, batches, augmentation, teacher outputs, quantisation-aware fine-tuning."""
