"""What stands between the network and the routes: authentication, limits, errors, shutdown."""
