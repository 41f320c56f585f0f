-- Made by drizzle-kit from src/store/schema.ts, which says why each table is WITHOUT ROWID; that was added by hand.
CREATE TABLE `event` (
	`internal_id` text PRIMARY KEY NOT NULL,
	`env` text NOT NULL,
	`name` text NOT NULL,
	`id` text,
	`ts` integer NOT NULL,
	`received_at` integer NOT NULL,
	`body` text,
	`duplicate_of` text,
	`dispatched_at` integer,
	`dead_reason` text,
	`failures` integer DEFAULT 0 NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `event_undispatched` ON `event` (`received_at`,`internal_id`) WHERE dispatched_at IS NULL;--> statement-breakpoint
CREATE INDEX `event_name` ON `event` (`env`,`name`,`internal_id`);--> statement-breakpoint
CREATE TABLE `event_key` (
	`env` text NOT NULL,
	`id` text NOT NULL,
	`internal_id` text NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`env`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `event_part` (
	`internal_id` text NOT NULL,
	`part` integer NOT NULL,
	`text` text NOT NULL,
	PRIMARY KEY(`internal_id`, `part`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `run` (
	`run_id` text PRIMARY KEY NOT NULL,
	`env` text NOT NULL,
	`function_id` text NOT NULL,
	`event_id` text NOT NULL,
	`status` text NOT NULL,
	`queued_at` integer NOT NULL,
	`ended_at` integer,
	`check_at` integer,
	`output` text
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `run_event` ON `run` (`event_id`);--> statement-breakpoint
CREATE INDEX `run_open` ON `run` (`check_at`) WHERE ended_at IS NULL;
