"""What is asked before an execution starts or goes on: inputs and checks."""
