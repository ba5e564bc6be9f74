// What each task's end looks at, in dicts and lists by the dozen: outside the limited API,
// as initialisation is, where a look is no call.
#undef Py_LIMITED_API
#include "embedpy.h"
#include <string.h>

// version_of is a dict's version, which every change of it changes (PEP 509).
static inline uint64_t version_of(PyObject *dict)
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

// ep_dict_versions writes the versions of the dicts in a tuple.
void ep_dict_versions(PyObject *dicts, uint64_t *versions)
{
	for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(dicts); i++)
		versions[i] = version_of(PyTuple_GET_ITEM(dicts, i));
}

// ep_dicts_changed says whether one of them has another version by now.
int ep_dicts_changed(PyObject *dicts, const uint64_t *versions)
{
	for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(dicts); i++)
		if (version_of(PyTuple_GET_ITEM(dicts, i)) != versions[i])
			return 1;
	return 0;
}

// ep_list_holds says whether a list holds the very objects of a tuple, in their order.
int ep_list_holds(PyObject *list, PyObject *items)
{
	Py_ssize_t n = PyTuple_Size(items);

	return PyList_Check(list) && PyList_GET_SIZE(list) == n &&
	       (n == 0 || !memcmp(((PyListObject *)list)->ob_item, &PyTuple_GET_ITEM(items, 0), (size_t)n * sizeof items));
}
