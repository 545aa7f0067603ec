"""The server that gives machines their documents: who may take what, HTTP, iPXE and DHCP."""
