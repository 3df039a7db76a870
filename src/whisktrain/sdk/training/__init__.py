"""One training from the request to the result: started, followed, stopped, resumed."""
