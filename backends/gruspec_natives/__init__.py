"""The GRUs that frameworks ship, run as they are with weights in their own layouts.

One module per framework, each with classes derived from :class:`gruspec_natives.admission.DeclaredGRU`; they register
under the entry-point group ``gruspec.natives`` by the names of their layouts. Weights are handed over untouched, in the
framework's own way, and a cell is driven over timesteps by the framework's own loop where it has one. Everything runs
on the CPU but cuDNN.
"""
