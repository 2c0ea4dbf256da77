"""How the learned models are made and measured. scikit-learn is imported here alone, and only to train."""
