# What a team defines for itself: a bus, a rule, a target with all that a target can have, a destination outside, queues, and topics with
# their subscriptions.

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
    events = var.endpoint
    sns    = var.endpoint
    sqs    = var.endpoint
  }
}

resource "aws_cloudwatch_event_bus" "orders" {
  name = "orders"
  tags = { team = "shop" }
}

resource "aws_cloudwatch_event_rule" "paid" {
  name           = "paid"
  description    = "orders that are paid"
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  tags = {
    "rialto:order-by" = "$.detail.items[0].id"
    "rialto:breaker"  = "50%/30s/20"
    "team"            = "shop"
  }
  event_pattern = jsonencode({
    source      = ["shop"]
    detail-type = ["paid"]
    detail      = { total = [{ numeric = [">", 100] }] }
  })
}

resource "aws_cloudwatch_event_archive" "paid" {
  name             = "paid"
  description      = "what is paid"
  event_source_arn = aws_cloudwatch_event_bus.orders.arn
  retention_days   = 30
  event_pattern    = jsonencode({ detail-type = ["paid"] })
}

resource "aws_sqs_queue" "billing" {
  name                       = "billing"
  visibility_timeout_seconds = 60

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue" "dead" {
  name                      = "dead"
  message_retention_seconds = 1209600
}

resource "aws_cloudwatch_event_target" "billing" {
  rule           = aws_cloudwatch_event_rule.paid.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  target_id      = "billing"
  arn            = aws_sqs_queue.billing.arn

  input_transformer {
    input_paths    = { id = "$.detail.id" }
    input_template = "{\"paid\": <id>}"
  }

  retry_policy {
    maximum_retry_attempts       = 5
    maximum_event_age_in_seconds = 3600
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }
}

resource "aws_cloudwatch_event_connection" "crm" {
  name               = "crm"
  authorization_type = "API_KEY"

  auth_parameters {
    api_key {
      key   = "X-Api-Key"
      value = "secret"
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "crm" {
  name                             = "crm"
  invocation_endpoint              = "https://crm.example.com/customers/*"
  http_method                      = "POST"
  invocation_rate_limit_per_second = 20
  connection_arn                   = aws_cloudwatch_event_connection.crm.arn
}

resource "aws_cloudwatch_event_target" "crm" {
  rule           = aws_cloudwatch_event_rule.paid.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  target_id      = "crm"
  arn            = aws_cloudwatch_event_api_destination.crm.arn
  role_arn       = "arn:aws:iam::000000000000:role/events"

  http_target {
    path_parameter_values   = ["$.detail.id"]
    header_parameters       = { X-Team = "shop" }
    query_string_parameters = { v = "1" }
  }
}

resource "aws_sns_topic" "orders" {
  name         = "orders"
  display_name = "Orders"
  tags         = { team = "shop" }
}

data "aws_iam_policy_document" "publish" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.orders.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

resource "aws_sns_topic_policy" "orders" {
  arn    = aws_sns_topic.orders.arn
  policy = data.aws_iam_policy_document.publish.json
}

resource "aws_cloudwatch_event_target" "orders" {
  rule           = aws_cloudwatch_event_rule.paid.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  target_id      = "orders"
  arn            = aws_sns_topic.orders.arn
}

resource "aws_sns_topic_subscription" "billing" {
  topic_arn            = aws_sns_topic.orders.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.billing.arn
  raw_message_delivery = true
  filter_policy_scope  = "MessageBody"

  filter_policy = jsonencode({
    detail = { total = [{ numeric = [">=", 1000] }] }
  })

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
  })
}

resource "aws_sns_topic_subscription" "dead" {
  topic_arn     = aws_sns_topic.orders.arn
  protocol      = "sqs"
  endpoint      = aws_sqs_queue.dead.arn
  filter_policy = jsonencode({ failed = ["true"] })
}

# FIFO queues and topics, in high throughput and not.

resource "aws_sqs_queue" "ledger" {
  name                        = "ledger.fifo"
  fifo_queue                  = true
  content_based_deduplication = true
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  delay_seconds               = 5
  visibility_timeout_seconds  = 120

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.ledger_dead.arn
    maxReceiveCount     = 3
  })
}

resource "aws_sqs_queue" "ledger_dead" {
  name                      = "ledger-dead.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
}

resource "aws_sqs_queue_redrive_allow_policy" "ledger_dead" {
  queue_url = aws_sqs_queue.ledger_dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.ledger.arn]
  })
}

resource "aws_sns_topic" "ledger" {
  name                        = "ledger.fifo"
  fifo_topic                  = true
  content_based_deduplication = true
  fifo_throughput_scope       = "MessageGroup"
}

resource "aws_sns_topic" "steps" {
  name       = "steps.fifo"
  fifo_topic = true
}

resource "aws_sns_topic_subscription" "ledger" {
  topic_arn            = aws_sns_topic.ledger.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.ledger.arn
  raw_message_delivery = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.ledger_dead.arn
  })
}

resource "aws_cloudwatch_event_target" "ledger" {
  rule           = aws_cloudwatch_event_rule.paid.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  target_id      = "ledger"
  arn            = aws_sqs_queue.ledger.arn

  sqs_target {
    message_group_id = "$.detail.order"
  }
}
