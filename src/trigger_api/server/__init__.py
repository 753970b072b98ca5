"""Between the network and the routes: authentication, middleware, request bodies, problem responses, shutdown."""
