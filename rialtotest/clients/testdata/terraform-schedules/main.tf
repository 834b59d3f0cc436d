# What a team lets happen by the clock: a group with schedules of each sort, and a rule that has a schedule.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true

  endpoints {
    events    = var.endpoint
    scheduler = var.endpoint
  }
}

locals {
  queue = "arn:aws:sqs:us-east-1:000000000000:work"
  role  = "arn:aws:iam::000000000000:role/scheduler"
}

resource "aws_scheduler_schedule_group" "nightly" {
  name = "nightly"
  tags = { team = "shop" }
}

resource "aws_scheduler_schedule" "report" {
  name                         = "report"
  group_name                   = aws_scheduler_schedule_group.nightly.name
  description                  = "the report of the day"
  schedule_expression          = "cron(30 2 * * ? *)"
  schedule_expression_timezone = "Europe/Berlin"
  start_date                   = "2040-01-01T00:00:00Z"
  end_date                     = "2041-01-01T00:00:00Z"

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = local.queue
    role_arn = local.role
    input    = jsonencode({ report = "day", at = "<aws.scheduler.scheduled-time>" })

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 3
    }

    dead_letter_config {
      arn = "arn:aws:sqs:us-east-1:000000000000:dead"
    }
  }
}

resource "aws_scheduler_schedule" "call" {
  name                = "call"
  schedule_expression = "rate(1 hour)"
  state               = "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
    role_arn = local.role
    input    = jsonencode({ QueueUrl = "https://sqs.us-east-1.amazonaws.com/000000000000/work", MessageBody = "hello" })
  }
}

resource "aws_scheduler_schedule" "event" {
  name                = "event"
  group_name          = aws_scheduler_schedule_group.nightly.name
  schedule_expression = "at(2040-01-01T00:00:00)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    role_arn = local.role
    input    = jsonencode({ total = 1 })

    eventbridge_parameters {
      detail_type = "New Year"
      source      = "calendar"
    }
  }
}

resource "aws_cloudwatch_event_rule" "hourly" {
  name                = "hourly"
  schedule_expression = "rate(1 hour)"
}

resource "aws_cloudwatch_event_rule" "weekdays" {
  name                = "weekdays"
  schedule_expression = "cron(0 18 ? * MON-FRI *)"
  state               = "DISABLED"
}
