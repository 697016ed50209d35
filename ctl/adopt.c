// SPDX-License-Identifier: GPL-2.0
/* transfers --save, adopt, key: what servers go on with of each other. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"
#include "tftpkctl.h"

#define BOOT_ID		"/proc/sys/kernel/random/boot_id"
#define KEY_LEN		16
#define BYTES_MAX	16	/* of an address, the options or a seal */

/* What tells boots apart: inodes are those of one of them. */
static json_t *read_boot(void)
{
	FILE *file = fopen(BOOT_ID, "re");
	char line[64] = "";

	if (file && !fgets(line, sizeof(line), file))
		*line = '\0';
	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return json_string(line);
}

/* ---- saving ---- */

/* What is not told need not be saved: it is as good as what says nothing. */
static void leave_out(json_t *transfer)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(transfer, next, key, value) {
		if (json_is_null(value) || json_is_false(value))
			json_object_del(transfer, key);
	}
}

/* Tell how many transfers run that are not among @saved. */
static void warn_of_others(struct ctl *ctl, const json_t *saved)
{
	json_auto_t *all = NULL;
	size_t n;

	if (nl_dump(ctl, TFTPK_CMD_TRANSFER_GET, NULL, 0, &all))
		return;
	n = json_array_size(all);
	if (n > json_array_size(saved))
		print_warning("%zu of %zu transfers cannot be saved: 'tftpkctl help transfers' says which",
			      n - json_array_size(saved), n);
}

int save_transfers(struct ctl *ctl)
{
	json_auto_t *boot = check_alloc(read_boot());
	json_auto_t *list = NULL;
	json_t *transfer;
	size_t i;

	if (nl_dump(ctl, TFTPK_CMD_TRANSFER_SAVE, saved_fields,
		    COUNT(saved_fields), &list))
		return nl_fail(ctl, "transfers --save");
	json_array_foreach(list, i, transfer) {
		leave_out(transfer);
		object_put(transfer, "boot-id", json_incref(boot));
		print_json_line(json_incref(transfer));
	}
	warn_of_others(ctl, list);
	return EXIT_SUCCESS;
}

/* ---- adopting ---- */

/* Attributes that have 64 bits; the other numbers have 32. */
static bool is_wide(uint16_t attr)
{
	return attr == TFTPK_A_SAVED_SIZE || attr == TFTPK_A_SAVED_MODIFIED ||
	       attr == TFTPK_A_SAVED_INODE || attr == TFTPK_A_SAVED_BLOCK ||
	       attr == TFTPK_A_SAVED_TIME;
}

static bool is_identity(uint16_t attr)
{
	return attr == TFTPK_A_SAVED_DEVICE || attr == TFTPK_A_SAVED_INODE ||
	       attr == TFTPK_A_SAVED_GENERATION;
}

static bool put_number(struct nlmsghdr *nlh, const struct field *field,
		       const json_t *value)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0)
		return false;
	if (field->type == FIELD_PORT && number <= UINT16_MAX)
		mnl_attr_put_u16(nlh, field->attr, htons((uint16_t)number));
	else if (field->type == FIELD_NUMBER && is_wide(field->attr))
		mnl_attr_put_u64(nlh, field->attr, (uint64_t)number);
	else if (field->type == FIELD_NUMBER && number <= UINT32_MAX)
		mnl_attr_put_u32(nlh, field->attr, (uint32_t)number);
	else
		return false;
	return true;
}

static bool put_word(struct nlmsghdr *nlh, const struct field *field,
		     const char *word)
{
	uint32_t i;

	for (i = 0; field->words[i]; i++) {
		if (!strcmp(field->words[i], word)) {
			mnl_attr_put_u32(nlh, field->attr, i);
			return true;
		}
	}
	return false;
}

static bool put_bytes(struct nlmsghdr *nlh, const struct field *field,
		      const char *digits)
{
	unsigned char bytes[BYTES_MAX];
	size_t len = strlen(digits) / 2;

	if (len > sizeof(bytes) || !parse_hex(digits, bytes, len))
		return false;
	mnl_attr_put(nlh, field->attr, len, bytes);
	return true;
}

static bool is_address(const char *string)
{
	struct in6_addr address;

	return inet_pton(strchr(string, ':') ? AF_INET6 : AF_INET, string,
			 &address) == 1;
}

/* Add what a member says; false where that is not of its kind. */
static bool put_field(struct nlmsghdr *nlh, const struct field *field,
		      const json_t *transfer)
{
	const json_t *value = object_get(transfer, field->name);
	const char *string = json_string_value(value);
	auto_free char *raw = NULL;

	switch (field->type) {
	case FIELD_FLAG:
		if (json_is_true(value))
			mnl_attr_put(nlh, field->attr, 0, NULL);
		return json_is_boolean(value);
	case FIELD_STRING:
		raw = string ? raw_text(transfer, field->name) : NULL;
		if (raw && strlen(raw) <= TFTPK_PATH_MAX)
			mnl_attr_put_strz(nlh, field->attr, raw);
		return raw && strlen(raw) <= TFTPK_PATH_MAX;
	case FIELD_ADDRESS:
		if (!string || !is_address(string))
			return false;
		put_address(nlh, field->attr, string);
		return true;
	case FIELD_WORD:
		return string && put_word(nlh, field, string);
	case FIELD_HEX:
		return string && put_bytes(nlh, field, string);
	default:
		return put_number(nlh, field, value);
	}
}

/* Whom and what the transfer is of, for people. */
static char *transfer_text(const json_t *transfer)
{
	auto_free char *client = endpoint_text(transfer, "client-");
	auto_free char *name = string_text(transfer, "name");

	return xasprintf("%s %s", client, name);
}

/* Have the module go on with a transfer. Returns 0 or -1 after an error message. */
static int adopt_transfer(struct ctl *ctl, const json_t *transfer, bool here)
{
	struct nlmsghdr *nlh = nl_request(ctl, TFTPK_CMD_TRANSFER_ADOPT);
	auto_free char *what = NULL;
	size_t i;

	for (i = 0; i < COUNT(saved_fields); i++) {
		const struct field *field = &saved_fields[i];

		if (!object_get(transfer, field->name) ||
		    (!here && is_identity(field->attr)))
			continue;
		if (!put_field(nlh, field, transfer)) {
			print_error("'%s' is not what 'transfers --save' prints",
				    field->name);
			return -1;
		}
	}
	if (!nl_do(ctl, NULL, 0, NULL))
		return 0;
	what = transfer_text(transfer);
	print_error("%s: %s", what, ctl->extack[0] ? ctl->extack :
						     strerror(ctl->error));
	return -1;
}

/* Read a line into the list of transfers. Returns -1 after an error message. */
static int read_transfer(json_t *list, const char *line, size_t len)
{
	json_t *transfer = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(transfer)) {
		array_append(list, transfer);
		return 0;
	}
	set_error_word(line);
	print_error("this is no JSON object");
	json_decref(transfer);
	return -1;
}

/* Read all lines. Returns 0, or -1 after an error message. */
static int read_transfers(const char *file, json_t *list)
{
	bool is_stdin = !strcmp(file, "-");
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	auto_free char *line = NULL;
	unsigned int number = 0;
	size_t size = 0;
	ssize_t len;
	int ret = 0;

	if (!in) {
		print_error("cannot open %s: %s", file, strerror(errno));
		return -1;
	}
	while (!ret && (len = getline(&line, &size, in)) >= 0) {
		set_error_line(is_stdin ? "stdin" : file, ++number, line,
			       (size_t)len);
		if (len > 1)
			ret = read_transfer(list, line, (size_t)len);
	}
	set_error_line(NULL, 0, NULL, 0);
	if (!ret && ferror(in)) {
		print_error("cannot read %s", file);
		ret = -1;
	}
	if (!is_stdin)
		fclose(in);
	return ret;
}

int run_adopt(struct ctl *ctl, int argc, char **argv)
{
	json_auto_t *list = check_alloc(json_array());
	json_auto_t *boot = check_alloc(read_boot());
	size_t i, n, adopted = 0;
	json_t *transfer;

	if (read_transfers(argc ? argv[0] : "-", list))
		return EXIT_FAILURE;
	n = json_array_size(list);
	json_array_foreach(list, i, transfer)
		adopted += !adopt_transfer(ctl, transfer,
					   json_equal(object_get(transfer, "boot-id"),
						      boot));
	if (ctl->json)
		print_json(json_pack("{s:{s:I,s:I}}", "adopt", "adopted",
				     (json_int_t)adopted, "refused",
				     (json_int_t)(n - adopted)));
	else
		printf("went on with %zu of %zu transfers\n", adopted, n);
	return adopted < n ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the key ---- */

/* Read it. Returns 0, or an exit code after an error message. */
static int read_key(const char *file, unsigned char key[KEY_LEN])
{
	bool is_stdin = !strcmp(file, "-");
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	char line[2 * KEY_LEN + 3] = "";
	bool valid;

	if (!in) {
		print_error("key: cannot open %s: %s", file, strerror(errno));
		return EXIT_FAILURE;
	}
	if (!fgets(line, sizeof(line), in))
		*line = '\0';
	if (!is_stdin)
		fclose(in);
	line[strcspn(line, "\n")] = '\0';
	valid = parse_hex(line, key, KEY_LEN);
	explicit_bzero(line, sizeof(line));
	if (valid)
		return 0;
	print_error("key: %s does not hold %d hexadecimal digits",
		    is_stdin ? "stdin" : file, 2 * KEY_LEN);
	return EXIT_FAILURE;
}

int run_key(struct ctl *ctl, int argc, char **argv)
{
	bool none = !strcmp(argv[0], "none");
	unsigned char key[KEY_LEN];
	struct nlmsghdr *nlh;
	int ret;

	ret = none ? 0 : read_key(argv[0], key);
	if (ret)
		return ret;
	nlh = nl_request(ctl, TFTPK_CMD_KEY_SET);
	if (!none)
		mnl_attr_put(nlh, TFTPK_A_KEY_KEY, sizeof(key), key);
	ret = nl_do(ctl, NULL, 0, NULL);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(ctl->request, sizeof(ctl->request));
	if (ret)
		return nl_fail(ctl, "key");
	if (ctl->json)
		return print_json(json_pack("{s:b}", "key", !none));
	puts(none ? "the key is forgotten" : "the key is set");
	return EXIT_SUCCESS;
}
