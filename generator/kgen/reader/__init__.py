"""The generic reader: YAML with positions, checked against kinds and objects. It knows no field of any file."""
