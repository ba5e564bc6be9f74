// What the C half of the package shares. Functions that need the GIL say so;
// all others are called without it and take it themselves.
#ifndef EMBEDPY_H
#define EMBEDPY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { EP_MAX_VALUES = 16, EP_SCRATCH = 4096, EP_ERROR = 2048, EP_MAX_INTERRUPTS = 4 };

typedef enum { EP_NONE, EP_STR, EP_BYTES, EP_INT, EP_FLOAT } ep_kind;

// One argument or one result. data points to size bytes that belong to somebody
// else: as an argument to the caller, as a result to thread->held.
typedef struct {
	ep_kind kind;
	int64_t integer;
	double real;
	const void *data;
	size_t size;
} ep_value;

// A thread that may call Python. It is made once per OS thread, used by that
// thread alone except where a field says otherwise, and never freed: capsules
// that Python code holds point to it.
typedef struct {
	PyThreadState *state;  // saved while the thread is outside Python
	unsigned long ident;   // as PyThreadState_SetAsyncExc names the thread
	PyObject *held;        // what the last call returned; owns the results' memory
	// Written by any thread without the GIL: key << 8 | reason.
	_Atomic uint64_t flag;

	// The fields up to the next blank line are read and written with the GIL
	// held only, and by the interrupting threads too.
	uint64_t region;              // key of the region the thread is in, 0: none
	uint64_t wanted;              // key that is to be interrupted
	unsigned wanted_mask;         // with which interrupts, bit by index
	unsigned sent_mask;           // interrupts sent into this region
	PyObject *last_sent;          // borrowed from ep_interrupts
	int shields;                  // interrupts wait while it is above 0
	int flag_seen;                // the region's code has seen its flag
	int was_interrupted;          // an interrupt was raised in this region
	int unsettled; // the last settle failed
	int printed;   // the last call with a settle was captured, and something was written

	int64_t wall_ns, cpu_ns;      // of the last region
	int64_t gil_ns;               // that the last call waited for the GIL before it began
	int64_t cpu_mark;             // thread CPU time accounted so far
	int64_t cpu_read;             // when the thread CPU clock was last read
	ep_value args[EP_MAX_VALUES];
	PyObject *memos[EP_MAX_VALUES]; // what short texts among them have become
	ep_value results[EP_MAX_VALUES];
	char scratch[EP_SCRATCH];     // the caller's small arguments
	char error[EP_ERROR];         // why the last call failed, NUL-terminated UTF-8
} ep_thread;

// slack.c
void ep_slack_return(void);

// init.c
int ep_start(const char *executable, char *error, size_t error_size);
void ep_library_path(char *path, size_t size);

// load.c
int ep_load(ep_thread *t, const char *name, const char *file, const char *source, const char *compiled, size_t size);
PyObject *ep_attr(ep_thread *t, const char *module, const char *name);
PyObject *ep_member(ep_thread *t, PyObject *object, const char *name);
void ep_release(ep_thread *t, PyObject *object);

// thread.c
ep_thread *ep_thread_main(void);
ep_thread *ep_thread_open(int own_cwd);
void ep_thread_close(ep_thread *t);
int ep_thread_call(ep_thread *t, uint64_t region, PyObject *callable, PyObject *rescue, PyObject *settle, int args);
PyObject *ep_thread_make(ep_thread *t, PyObject *callable, int args);
int64_t ep_clock_ns(int clock);

// value.c; all with the GIL held
PyObject *ep_args(ep_thread *t, int count);
int ep_results(ep_thread *t, PyObject *value);
void ep_error_take(ep_thread *t, const char *what);
int ep_from_python(ep_value *v, PyObject *item);

// interrupt.c
extern PyObject *ep_interrupts[EP_MAX_INTERRUPTS];
int ep_interrupt(ep_thread *t, uint64_t region, unsigned which);
int ep_strike(ep_thread *t, unsigned which);
void ep_region_enter(ep_thread *t, uint64_t region);  // GIL held
void ep_region_leave(ep_thread *t);                   // GIL held
PyObject *ep_unshielded(ep_thread *t, PyObject *callable, PyObject *args);  // GIL held
PyObject *ep_shielded(ep_thread *t, PyObject *callable, PyObject *args);  // GIL held

// quoted.c; GIL held
PyObject *ep_quoted(PyObject *self, PyObject *text);

// keys.c; GIL held
PyObject *ep_plain_keys(PyObject *self, PyObject *args);
PyObject *ep_deeper(PyObject *self, PyObject *args);

// capture.c; none of it needs the GIL
int ep_capture_open(size_t most);
int ep_capture_log(void);
void ep_capture_begin(void);
int ep_capture_take(void);
extern _Atomic int ep_capture_broken;
void ep_capture_repair(void);
const char *ep_capture_kept(int which, size_t *size, int *truncated);
size_t ep_capture_after(int which, size_t skip, char *copy, size_t room);
void ep_capture_clear(void);
void ep_capture_renew(void);

// state.c; GIL held, except for ep_had_children and the signals' two
int ep_had_children(void);
void ep_signals_default(void);
void ep_signals_return(void);
PyObject *ep_variables(PyObject *self, PyObject *unused);
PyObject *ep_remember(PyObject *self, PyObject *args);
PyObject *ep_drifted(PyObject *self, PyObject *unused);
int ep_changed(void);

// standing.c; GIL held, except for ep_standing_lost, which anybody may read
struct ep_folder {
	uint64_t inode, mount;
	uint32_t major, minor;
};
void ep_folder_look(const char *path, struct ep_folder *found);
void ep_standing_note(void);
void ep_standing_hooked(void);
void ep_standing_glance(void);
void ep_standing_check(void);
extern _Atomic int ep_standing_lost;
PyObject *ep_return_signal(PyObject *self, PyObject *number);

// versions.c; GIL held
void ep_dict_versions(PyObject *dicts, uint64_t *versions);
int ep_dicts_changed(PyObject *dicts, const uint64_t *versions);
int ep_list_holds(PyObject *list, PyObject *items);

// refuse.c
int ep_refuse_init(void);                              // before ep_start's initialisation
PyObject *ep_refuse(PyObject *self, PyObject *args);   // GIL held

// beneath.c; GIL held
PyObject *ep_open_beneath(PyObject *self, PyObject *args);

// enclose.c; the first two with the GIL held
PyObject *ep_enclose(PyObject *self, PyObject *args);
PyObject *ep_wall_in(PyObject *self, PyObject *step);
void ep_enclose_slot(void);
void ep_enclose_task(void);
void ep_enclose_seal(void);

// forked.c; with the GIL held, but for the reading, the writing and ep_post_up
enum { EP_HOST = -1, EP_NOBODY = -2 }; // in place of a socket: this is the host's process, or one that has none
extern int ep_task_socket;
int ep_read_all(int fd, void *to, size_t size);
int ep_write_all(int fd, const void *from, size_t size);
void ep_post_up(int64_t kind, double number, const char *data, size_t size);
PyObject *ep_hang_up(PyObject *self, PyObject *unused);
PyObject *ep_py_had_children(PyObject *self, PyObject *unused);
PyObject *ep_receive(PyObject *self, PyObject *unused);
PyObject *ep_run_region(PyObject *self, PyObject *args);
PyObject *ep_ask(PyObject *self, PyObject *args);
PyObject *ep_raise_here(PyObject *self, PyObject *args);
void ep_leave(PyObject *ending);

// fit.c; GIL held
PyObject *ep_note_fit(PyObject *self, PyObject *unused);
PyObject *ep_unfit(PyObject *self, PyObject *unused);

// become.c; GIL held
PyObject *ep_become(PyObject *self, PyObject *args);

// children.c
int ep_reap(void);
int ep_is_over(pid_t pid);
void ep_end_below(void);

// slots.c; GIL held
PyObject *ep_slots(PyObject *self, PyObject *args);

// module.c
PyObject *ep_module_init(void);
extern _Thread_local ep_thread *ep_current;
extern uintptr_t ep_owner;  // Go's handle of the interpreter, set before ep_start

#endif
