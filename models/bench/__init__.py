"""Benchmarks: what this project promises of its own speed and memory, measured. Nothing here trains or judges a model.

encode, loop                       ratios of one run on one machine, with the stand-ins
setting, components, decoder       the networks of Appendix D.1 with random weights, at true or small size
inference, training, gpu, figure   their times and memory, as one JSON and one figure
"""
