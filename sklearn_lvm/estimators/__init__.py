"""The public estimators, one file a class: names, constraints, validation and fitted attributes."""
