// SPDX-License-Identifier: GPL-2.0
/*
 * counter - QEMU plugin that counts what the guest executes
 *
 * Keeps, in a file that another process can map, how often each translated
 * block of code was executed: exact, at almost full speed, and at any moment.
 * Blocks that were translated more than once have several entries.
 *
 *	-plugin counter.so,counts=PATH,marks=PATH
 *
 * The file of marks has how many instructions were executed up to each mark that
 * the guest passes: an instruction that does nothing, see paced.c.
 *
 * Debian ships no header for QEMU's plugins; what is used of the interface is declared
 * here: of its version 1 (QEMU 4.2 to 8.2), or with -DPLUGIN_VERSION=4 of version 4
 * (QEMU 9.2 and 10).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int vcpu, void *data),
		enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
		void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));

#if PLUGIN_VERSION == 1
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
		enum qemu_plugin_op op, void *counter, uint64_t add);

static void copy_code(const struct qemu_plugin_insn *insn, void *to, size_t len)
{
	memcpy(to, qemu_plugin_insn_data(insn), len);
}

static void count_executions(struct qemu_plugin_tb *tb, uint64_t *counter)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 counter, 1);
}
#else
struct qemu_plugin_scoreboard;
typedef struct {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
} qemu_plugin_u64;

size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to,
			     size_t len);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score,
				  unsigned int vcpu);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb,
		enum qemu_plugin_op op, qemu_plugin_u64 counter, uint64_t add);

static void copy_code(const struct qemu_plugin_insn *insn, void *to, size_t len)
{
	qemu_plugin_insn_data(insn, to, len);
}

/*
 * This version adds to memory of QEMU's own only, which another process cannot map. It
 * does so at an offset from the place of the first processor, and ours is an offset,
 * too: of one processor that is, as this is only used for.
 */
static void count_executions(struct qemu_plugin_tb *tb, uint64_t *counter)
{
	static qemu_plugin_u64 place;

	if (!place.score)
		place.score = qemu_plugin_scoreboard_new(sizeof(*counter));
	place.offset = (uintptr_t)counter -
		       (uintptr_t)qemu_plugin_scoreboard_find(place.score, 0);
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb,
			QEMU_PLUGIN_INLINE_ADD_U64, place, 1);
}
#endif

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

#define ENTRIES_MAX (8 << 20)

/* The file: the number of entries in the first one, then the entries. */
static struct entry {
	uint64_t address;
	uint64_t instructions;
	uint64_t executed;
} *entries;

/* nopl 0x6b72616d(%rax) */
static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 'm', 'a', 'r', 'k' };
static int marks;

static void marked(unsigned int vcpu, void *data)
{
	uint64_t total = 0, i;

	(void)vcpu;
	(void)data;
	for (i = 1; i <= entries->address; i++)
		total += entries[i].instructions * entries[i].executed;
	if (write(marks, &total, sizeof(total)) != sizeof(total))
		abort();
}

static void watch_marks(struct qemu_plugin_tb *tb)
{
	unsigned char code[sizeof(mark)];
	struct qemu_plugin_insn *insn;
	size_t i;

	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (qemu_plugin_insn_size(insn) != sizeof(mark))
			continue;
		copy_code(insn, code, sizeof(code));
		if (!memcmp(code, mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked,
					QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct entry *e;

	(void)id;
	if (entries->address + 1 == ENTRIES_MAX)
		abort();
	e = &entries[++entries->address];
	e->address = qemu_plugin_tb_vaddr(tb);
	e->instructions = qemu_plugin_tb_n_insns(tb);
	count_executions(tb, &e->executed);
	watch_marks(tb);
}

static int create(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
			       const struct qemu_info_t *info, int argc,
			       char **argv)
{
	int fd;

	(void)info;
	if (argc != 2 || strncmp(argv[0], "counts=", 7) ||
	    strncmp(argv[1], "marks=", 6))
		return -1;
	marks = create(argv[1] + 6);
	fd = create(argv[0] + 7);
	if (marks < 0 || fd < 0 || ftruncate(fd, ENTRIES_MAX * sizeof(*entries)))
		return -1;
	entries = mmap(NULL, ENTRIES_MAX * sizeof(*entries),
		       PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (entries == MAP_FAILED)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
