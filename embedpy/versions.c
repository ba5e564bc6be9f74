// The version of a dict, which every change of it changes (PEP 509). Outside the
// limited API, as initialisation is.
#undef Py_LIMITED_API
#include "embedpy.h"

uint64_t ep_dict_version(PyObject *dict)
{
#if PY_VERSION_HEX < 0x030e0000
	_Pragma("GCC diagnostic push")
	_Pragma("GCC diagnostic ignored \"-Wdeprecated-declarations\"")
	return ((PyDictObject *)dict)->ma_version_tag;
	_Pragma("GCC diagnostic pop")
#else
#error "this CPython has no version of a dict; use PyDict_Watch"
#endif
}
