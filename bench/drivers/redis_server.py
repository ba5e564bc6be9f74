"""A Redis server on a Unix socket in the working directory."""
import os
import re
import subprocess

from drive import server, wait_for

SETTINGS = "Redis on a Unix socket, nothing saved to disk"


def start():
    """Start the server and return the path of its socket."""
    import redis

    path = os.path.abspath("redis.sock")
    server("redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning")
    wait_for(redis.Redis(unix_socket_path=path).ping, "redis-server")
    return path


def version():
    """Return the server's name and version."""
    said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    return "Redis " + re.search(r"v=(\S+)", said).group(1)
