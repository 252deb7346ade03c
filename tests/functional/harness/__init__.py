"""What the functional tests and the demo stand on: namespaces, gateways, stations, captures, traffic."""
