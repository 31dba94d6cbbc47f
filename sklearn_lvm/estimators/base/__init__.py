"""What estimators share: validation, transactions, and the bases they are built on."""
