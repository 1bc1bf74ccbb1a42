"""Machine code, made by LLVM: of formulas (emit), of drivers (translate), kept on disk (store).

What is compiled is a sum: each loss, penalty and optimizer once for a precision, each driver once for a precision and
a kind of rows. Drivers call the functions of parts by address, and take their numbers as data.
"""
