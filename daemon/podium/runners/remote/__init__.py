"""Commands in containers of other machines: files, output and the end of a command go to and fro. Used by swarm and kubernetes."""
