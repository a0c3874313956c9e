"""Quantisation that keeps groups whole: which operators stay in float, and fine-tuning where that is not enough.

units        the operators that are decided together: one with weights and what follows it
rows         the rows on which operators are ranked and chosen; never calibration or gate rows
simulate     logits of a variant that exists in memory only
sensitivity  what each unit's quantisation does to the margins of every group
cost         what a unit in float costs, in bytes or milliseconds
search       the cheapest units in float with which every tolerance holds
fake         quantisation inside the PyTorch student, for fine-tuning
finetune     the student trained on under it, with its own loss and strategy
job          all of it on a finished run: files, predictions, verdicts
"""
