"""The shell around `transforms`: options in, Beam graph out."""
