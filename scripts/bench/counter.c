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
 * Debian ships no header for QEMU's plugins; what is used of version 1 of
 * the interface (QEMU 4.2 to 8.2) is declared here.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int vcpu, void *data),
		enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
		void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
		enum qemu_plugin_op op, void *counter, uint64_t add);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

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
	struct qemu_plugin_insn *insn;
	size_t i;

	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (qemu_plugin_insn_size(insn) == sizeof(mark) &&
		    !memcmp(qemu_plugin_insn_data(insn), mark, sizeof(mark)))
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
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &e->executed, 1);
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
