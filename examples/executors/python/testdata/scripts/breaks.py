# Nothing can be opened any more in this process.
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
params
