// SPDX-License-Identifier: GPL-2.0
/* set, get, show: what can be tuned, and all that is configured. */
#include <stdio.h>
#include <string.h>

#include "tftpkctl.h"

#define SWITCH(a, n, preset_, d) \
	{ .attr = TFTPK_A_SETTINGS_##a, .type = FIELD_BOOLEAN, .name = (n), \
	  .max = 1, .preset = (preset_), .doc = (d) }
#define AMOUNT(a, n, min_, max_, preset_, u, d) \
	{ .attr = TFTPK_A_SETTINGS_##a, .type = FIELD_NUMBER, .name = (n), \
	  .min = (min_), .max = (max_), .preset = (preset_), .unit = (u), \
	  .doc = (d) }
#define PORTS(a, n, d) \
	{ .attr = TFTPK_A_SETTINGS_##a, .type = FIELD_RANGE, .name = (n), \
	  .min = 1, .max = UINT16_MAX, .preset_text = ANY, .unit = "ports", \
	  .doc = (d) }

#define ANY	"any"
#define NO_LIMIT	", 0 for no limit"

/* A setting is a line here; commands, help and completion follow. */
static const struct field settings[] = {
	SWITCH(ZEROCOPY, "zerocopy", 1,
	       "send page-cache pages themselves; off copies the payload"),
	SWITCH(GSO, "gso", 1,
	       "send several blocks in one segmented buffer"),
	SWITCH(DETECT_CHANGES, "detect-changes", 1,
	       "end a transfer whose file changes meanwhile"),
	AMOUNT(MAX_TRANSFERS, "max-transfers", 1, 1000000, 10000, "transfers",
	       "transfers at one time"),
	AMOUNT(MAX_BLKSIZE, "max-blksize", 512, 65464, 65464, "bytes",
	       "largest block size granted"),
	AMOUNT(MAX_WINDOWSIZE, "max-windowsize", 1, 65535, 64, "blocks",
	       "largest window granted"),
	AMOUNT(GIVE_UP, "give-up", 1, 3600, 30, "seconds",
	       "time without progress that ends a transfer"),
	SWITCH(STRICT_OPTIONS, "strict-options", 0,
	       "refuse a malformed option by ERROR 8; off ignores it"),
	SWITCH(CLAMP_MTU, "clamp-mtu", 1,
	       "grant no block above the route's MTU; off fragments them"),
	PORTS(PORT_LOW, "port-range",
	      "what transfers are sent from; a change ends those that run"),
	AMOUNT(MAX_PER_CLIENT, "max-per-client", 0, 1000000, 0, "transfers",
	       "transfers of one client address at one time"),
	AMOUNT(MAX_UNVERIFIED, "max-unverified", 1, 1000000, 1024, "transfers",
	       "transfers without an ACK yet; the oldest gives way"),
	{ .attr = TFTPK_A_SETTINGS_MAX_PINNED, .type = FIELD_NUMBER,
	  .name = "max-pinned", .min = 1, .max = 16777216, .unit = "MiB",
	  .preset_text = "a quarter of the memory",
	  .doc = "page cache that transfers hold together, then one block each" },
	AMOUNT(SOURCE_BURST, "source-burst", 0, 65535, 64, "requests",
	       "requests at once from a client; behind a router a quarter"),
	AMOUNT(SOURCE_RATE, "source-rate", 1, 65535, 32, "requests/s",
	       "requests from a client after those"),
	SWITCH(REPLY_AT_LIMIT, "reply-at-limit", 0,
	       "refuse what is above a limit by ERROR 0; off drops it"),
};

/* What a setting was given; @last is of a range only. */
struct value {
	uint32_t first, last;
};

static const struct {
	const char *unit;
	const char *suffix;
	uint32_t factor;
} scales[] = {
	{ "seconds", "s", 1 },
	{ "seconds", "m", 60 },
	{ "seconds", "h", 3600 },
	{ "bytes", "B", 1 },
	{ "bytes", "K", 1024 },
	{ "bytes", "KiB", 1024 },
	{ "MiB", "M", 1 },
	{ "MiB", "MiB", 1 },
	{ "MiB", "G", 1024 },
	{ "MiB", "GiB", 1024 },
};

static const struct {
	const char *word;
	bool value;
} switch_words[] = {
	{ "on", true }, { "true", true }, { "yes", true }, { "1", true },
	{ "off", false }, { "false", false }, { "no", false }, { "0", false },
};

static const char *setting_name(size_t index)
{
	return index < COUNT(settings) ? settings[index].name : NULL;
}

/* The setting of that name, or NULL after a complaint. */
static const struct field *find(const char *name)
{
	const char *meant;
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		if (!strcmp(settings[i].name, name))
			return &settings[i];
	}
	meant = nearest(name, setting_name);
	if (meant)
		complain("no setting '%s': did you mean '%s'?", name, meant);
	else
		complain("no setting '%s': 'tftpkctl help set' lists them",
			 name);
	return NULL;
}

static char *value_text(const struct field *setting, const json_t *values)
{
	const json_t *value = look_up(values, setting->name);

	if (json_is_boolean(value))
		return text("%s", json_is_true(value) ? "on" : "off");
	if (setting->type == FIELD_RANGE)
		return json_is_string(value) ?
			       string_text(values, setting->name) :
			       text(ANY);
	return number_text(values, setting->name);
}

/* The settings as they are, for a person; a null is a setting not told. */
static void print_settings(const json_t *values)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const char *unit = settings[i].unit;
		char *value;

		if (!look_up(values, settings[i].name))
			continue;
		value = value_text(&settings[i], values);
		printf("%-15s %s%s%s%s\n", settings[i].name, value,
		       unit ? " " : "", unit ? unit : "",
		       unit && !strcmp(value, "0") ? " (no limit)" : "");
		free(value);
	}
}

static int parse_switch(const struct field *setting, const char *string,
			struct value *value)
{
	size_t i;

	for (i = 0; i < COUNT(switch_words); i++) {
		if (strcmp(switch_words[i].word, string) != 0)
			continue;
		value->first = switch_words[i].value;
		return 0;
	}
	return usage_error("set %s %s: must be on or off", setting->name,
			   string);
}

static int parse_range(const struct field *setting, const char *string,
		       struct value *value)
{
	uint64_t low = 0, high = 0;
	const char *rest;

	if (strcmp(string, ANY) != 0 &&
	    (!parse_number(string, &rest, &low) || *rest != '-' ||
	     !parse_number(rest + 1, &rest, &high) || *rest ||
	     low < setting->min || low > high || high > setting->max))
		return usage_error("set %s %s: must be LOW-HIGH, from %u to %u, or " ANY,
				   setting->name, string, setting->min,
				   setting->max);
	value->first = (uint32_t)low;
	value->last = (uint32_t)high;
	return 0;
}

static int parse_amount(const struct field *setting, const char *string,
			struct value *value)
{
	uint64_t amount, factor = 0;
	const char *rest;
	size_t i;

	if (parse_number(string, &rest, &amount)) {
		factor = !*rest;
		for (i = 0; i < COUNT(scales); i++) {
			if (!strcmp(scales[i].unit, setting->unit) &&
			    !strcmp(scales[i].suffix, rest))
				factor = scales[i].factor;
		}
	}
	/* The first comparison keeps the product from wrapping. */
	if (!factor || amount > setting->max ||
	    amount * factor > setting->max || amount * factor < setting->min)
		return usage_error("set %s %s: must be %u to %u %s%s",
				   setting->name, string, setting->min,
				   setting->max, setting->unit,
				   setting->min ? "" : NO_LIMIT);
	value->first = (uint32_t)(amount * factor);
	return 0;
}

static int parse_value(const struct field *setting, const char *string,
		       struct value *value)
{
	switch (setting->type) {
	case FIELD_BOOLEAN:
		return parse_switch(setting, string, value);
	case FIELD_RANGE:
		return parse_range(setting, string, value);
	default:
		return parse_amount(setting, string, value);
	}
}

/* Add a setting to the request, and to what is told of it. */
static void request_setting(struct nlmsghdr *nlh, json_t *told,
			    const struct field *setting,
			    const struct value *value)
{
	switch (setting->type) {
	case FIELD_BOOLEAN:
		mnl_attr_put_u8(nlh, setting->attr, (uint8_t)value->first);
		put(told, setting->name, json_boolean(value->first));
		break;
	case FIELD_RANGE:
		mnl_attr_put_u32(nlh, setting->attr, value->first);
		mnl_attr_put_u32(nlh, setting->attr + 1, value->last);
		put(told, setting->name, json_range(value->first, value->last));
		break;
	default:
		mnl_attr_put_u32(nlh, setting->attr, value->first);
		put(told, setting->name, json_integer(value->first));
		break;
	}
}

int run_set(struct ctl *ctl, int argc, char **argv)
{
	struct value values[COUNT(settings)] = { 0 };
	bool given[COUNT(settings)] = { false };
	struct nlmsghdr *nlh;
	json_t *result;
	size_t i;
	int arg;

	if (argc % 2)
		return usage_error("set %s: the value is missing",
				   argv[argc - 1]);
	for (arg = 0; arg < argc; arg += 2) {
		const struct field *setting = find(argv[arg]);
		int ret;

		if (!setting)
			return EXIT_USAGE;
		i = (size_t)(setting - settings);
		if (given[i])
			return usage_error("set %s: given twice", argv[arg]);
		given[i] = true;
		ret = parse_value(setting, argv[arg + 1], &values[i]);
		if (ret)
			return ret;
	}
	if (nl_open(ctl))
		return EXIT_FAILURE;

	result = checked(json_object());
	nlh = nl_request(ctl, TFTPK_CMD_SETTINGS_SET);
	for (i = 0; i < COUNT(settings); i++) {
		if (given[i])
			request_setting(nlh, result, &settings[i], &values[i]);
	}
	if (nl_do(ctl, NULL, 0, NULL)) {
		json_decref(result);
		return nl_fail(ctl, "set %s %s%s", argv[0], argv[1],
			       argc > 2 ? " ..." : "");
	}
	if (ctl->json)
		return print_json(json_pack("{s:o}", "set", result));
	print_settings(result);
	json_decref(result);
	return EXIT_SUCCESS;
}

static int read_settings(struct ctl *ctl, json_t **values)
{
	nl_request(ctl, TFTPK_CMD_SETTINGS_GET);
	return nl_do(ctl, settings, COUNT(settings), values);
}

int run_get(struct ctl *ctl, int argc, char **argv)
{
	const struct field *setting = NULL;
	json_t *values;

	if (argc) {
		setting = find(argv[0]);
		if (!setting)
			return EXIT_USAGE;
	}
	if (nl_open(ctl))
		return EXIT_FAILURE;
	if (read_settings(ctl, &values))
		return nl_fail(ctl, "get");

	if (ctl->json && setting) {
		json_t *one = checked(json_object());

		put(one, setting->name,
		    json_incref(look_up(values, setting->name)));
		print_json(one);
	} else if (ctl->json) {
		return print_json(values);
	} else if (setting) {
		char *value = value_text(setting, values);

		puts(value);
		free(value);
	} else {
		print_settings(values);
	}
	json_decref(values);
	return EXIT_SUCCESS;
}

int run_show(struct ctl *ctl, int argc, char **argv)
{
	json_t *exports = NULL, *listeners = NULL, *trusted = NULL;
	json_t *values = NULL;
	int ret = EXIT_SUCCESS;

	(void)argc;
	(void)argv;
	if (nl_open(ctl))
		return EXIT_FAILURE;
	if (dump_exports(ctl, &exports) || dump_listeners(ctl, &listeners) ||
	    dump_trusted(ctl, &trusted) || read_settings(ctl, &values)) {
		ret = nl_fail(ctl, "show");
	} else if (ctl->json) {
		return print_json(json_pack("{s:o, s:o, s:o, s:o}",
					    "exports", exports,
					    "listeners", listeners,
					    "trusted", trusted,
					    "settings", values));
	} else {
		if (json_array_size(exports))
			print_exports(exports);
		else
			puts("nothing is exported: tftpkctl export DIR");
		putchar('\n');
		if (json_array_size(listeners))
			print_listeners(listeners);
		else
			puts(json_array_size(exports) ?
			     "nothing listens: tftpkctl listen '*'" :
			     "nothing listens: the first export changes that");
		putchar('\n');
		if (json_array_size(trusted)) {
			print_trusted(trusted);
			putchar('\n');
		}
		print_settings(values);
	}
	json_decref(values);
	json_decref(trusted);
	json_decref(listeners);
	json_decref(exports);
	return ret;
}

/* The default, of a switch as a number. */
static char *preset_text(const struct field *setting)
{
	return setting->preset_text ? text("%s", setting->preset_text) :
				      text("%u", setting->preset);
}

void explain_settings(void)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const struct field *setting = &settings[i];
		char *preset = preset_text(setting);

		printf("  %-15s %s\n  %-15s ", setting->name, setting->doc, "");
		if (setting->type == FIELD_BOOLEAN)
			printf("on or off, default %s\n",
			       setting->preset ? "on" : "off");
		else if (setting->type == FIELD_RANGE)
			printf("LOW-HIGH, from %u to %u, or " ANY ", default %s\n",
			       setting->min, setting->max, preset);
		else
			printf("%u to %u %s%s, default %s\n", setting->min,
			       setting->max, setting->unit,
			       setting->min ? "" : NO_LIMIT, preset);
		free(preset);
	}
}

/* list_settings() - for programs: name, minimum, maximum, unit, default. */
void list_settings(void)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const char *unit = settings[i].unit;
		char *preset = preset_text(&settings[i]);

		printf("setting %s %u %u %s %s\n", settings[i].name,
		       settings[i].min, settings[i].max, unit ? unit : "switch",
		       preset);
		free(preset);
	}
}
