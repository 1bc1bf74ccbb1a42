"""The passes over rows: plain Python over flat arrays and numbers, translated to machine code as it stands.

A driver knows neither loss nor penalty nor optimizer: it calls their functions by address. It is compiled once for each
precision and kind of rows. Arguments are annotated with the kinds of :mod:`.primitives`; arrays are flat.
"""
