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
		printf("%-15s %s%s%s\n", settings[i].name, value,
		       unit ? " " : "", unit ? unit : "");
		free(value);
	}
}

static int parse_switch(const struct field *setting, const char *string,
			uint32_t *value)
{
	size_t i;

	for (i = 0; i < COUNT(switch_words); i++) {
		if (strcmp(switch_words[i].word, string) != 0)
			continue;
		*value = switch_words[i].value;
		return 0;
	}
	return usage_error("set %s %s: must be on or off", setting->name,
			   string);
}

static int parse_amount(const struct field *setting, const char *string,
			uint32_t *value)
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
		return usage_error("set %s %s: must be %u to %u %s",
				   setting->name, string, setting->min,
				   setting->max, setting->unit);
	*value = (uint32_t)(amount * factor);
	return 0;
}

int run_set(struct ctl *ctl, int argc, char **argv)
{
	uint32_t values[COUNT(settings)];
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
		ret = setting->type == FIELD_BOOLEAN ?
			      parse_switch(setting, argv[arg + 1], &values[i]) :
			      parse_amount(setting, argv[arg + 1], &values[i]);
		if (ret)
			return ret;
	}
	if (nl_open(ctl))
		return EXIT_FAILURE;

	result = checked(json_object());
	nlh = nl_request(ctl, TFTPK_CMD_SETTINGS_SET);
	for (i = 0; i < COUNT(settings); i++) {
		if (!given[i])
			continue;
		if (settings[i].type == FIELD_BOOLEAN) {
			mnl_attr_put_u8(nlh, settings[i].attr,
					(uint8_t)values[i]);
			put(result, settings[i].name, json_boolean(values[i]));
		} else {
			mnl_attr_put_u32(nlh, settings[i].attr, values[i]);
			put(result, settings[i].name, json_integer(values[i]));
		}
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
	json_t *exports = NULL, *listeners = NULL, *values = NULL;
	int ret = EXIT_SUCCESS;

	(void)argc;
	(void)argv;
	if (nl_open(ctl))
		return EXIT_FAILURE;
	if (dump_exports(ctl, &exports) || dump_listeners(ctl, &listeners) ||
	    read_settings(ctl, &values)) {
		ret = nl_fail(ctl, "show");
	} else if (ctl->json) {
		return print_json(json_pack("{s:o, s:o, s:o}",
					    "exports", exports,
					    "listeners", listeners,
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
		print_settings(values);
	}
	json_decref(values);
	json_decref(listeners);
	json_decref(exports);
	return ret;
}

void explain_settings(void)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const struct field *setting = &settings[i];

		printf("  %-15s %s\n  %-15s ", setting->name, setting->doc, "");
		if (setting->type == FIELD_BOOLEAN)
			printf("on or off, default %s\n",
			       setting->preset ? "on" : "off");
		else
			printf("%u to %u %s, default %u\n", setting->min,
			       setting->max, setting->unit, setting->preset);
	}
}

/* list_settings() - for programs: name, minimum, maximum, default, unit. */
void list_settings(void)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++)
		printf("setting %s %u %u %u %s\n", settings[i].name,
		       settings[i].min, settings[i].max, settings[i].preset,
		       settings[i].unit ? settings[i].unit : "switch");
}
