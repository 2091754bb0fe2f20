"""What came before: earlier migrations, adopted ledgers, the baseline, out of order."""
