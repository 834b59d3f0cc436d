# Calls every operation with the AWS CLI and looks at the answers. HOOK_URL is an endpoint that takes everything.
set -u
failed=0

# want RESULT COMMAND…: the command succeeds and prints the result.
want() {
  local result=$1 got
  shift
  if ! got=$("$@" 2>&1) || [ "$got" != "$result" ]; then
    printf 'FAILED %s\n   got: %s\n  want: %s\n' "$*" "$got" "$result"
    failed=1
  fi
}

# refused CODE COMMAND…: the command fails and names the error code.
refused() {
  local code=$1 got
  shift
  if got=$("$@" 2>&1) || [[ "$got" != *"($code)"* ]]; then
    printf 'FAILED %s\n   got: %s\n  want: an error with the code %s\n' "$*" "$got" "$code"
    failed=1
  fi
}

events() { aws events "$@" --output text; }
secretsmanager() { aws secretsmanager "$@" --output text; }
sns() { aws sns "$@" --output text; }
sqs() { aws sqs "$@" --endpoint-url "$AWS_ENDPOINT_URL" --output text; } # version 1 does not look at the variable for SQS

arn=arn:aws:events:us-east-1:000000000000
q=arn:aws:sqs:us-east-1:000000000000
url=$AWS_ENDPOINT_URL/000000000000

# queues
want "$url/billing" sqs create-queue --queue-name billing --attributes VisibilityTimeout=600 --tags team=money --query QueueUrl
want "$url/dead" sqs create-queue --queue-name dead --query QueueUrl
want "$url/billing" sqs get-queue-url --queue-name billing --query QueueUrl
want "$url/billing	$url/dead" sqs list-queues --query 'QueueUrls | sort(@)'
want "" sqs set-queue-attributes --queue-url "$url/billing" --attributes "{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$q:dead\\\",\\\"maxReceiveCount\\\":\\\"5\\\"}\"}"
want "600	$q:billing" sqs get-queue-attributes --queue-url "$url/billing" --attribute-names All --query 'Attributes.[VisibilityTimeout,QueueArn]'
want "$url/billing" sqs list-dead-letter-source-queues --queue-url "$url/dead" --query queueUrls
want "" sqs tag-queue --queue-url "$url/billing" --tags stage=test
want "test	money" sqs list-queue-tags --queue-url "$url/billing" --query 'Tags.[stage,team]'
want "" sqs untag-queue --queue-url "$url/billing" --tag-keys stage
want "None" sqs list-queue-tags --queue-url "$url/billing" --query 'Tags.stage'
want "" sqs add-permission --queue-url "$url/billing" --label share --aws-account-ids 111122223333 --actions SendMessage
want "" sqs remove-permission --queue-url "$url/billing" --label share
refused AWS.SimpleQueueService.NonExistentQueue sqs get-queue-url --queue-name none

# a FIFO queue: a duplicate, and a group that is closed while a message of it is in flight
want "$url/line.fifo" sqs create-queue --queue-name line.fifo --attributes FifoQueue=true --query QueueUrl
number=$(sqs send-message --queue-url "$url/line.fifo" --message-body 1 --message-group-id a --message-deduplication-id x --query SequenceNumber)
want "$number" sqs send-message --queue-url "$url/line.fifo" --message-body 1 --message-group-id a --message-deduplication-id x --query SequenceNumber
want 1 sqs send-message-batch --queue-url "$url/line.fifo" --query 'length(Successful)' \
  --entries '[{"Id":"a","MessageBody":"2","MessageGroupId":"a","MessageDeduplicationId":"y"}]'
want "1	a	x	$number" sqs receive-message --queue-url "$url/line.fifo" --attribute-names All \
  --query 'Messages[0].[Body,Attributes.MessageGroupId,Attributes.MessageDeduplicationId,Attributes.SequenceNumber]'
want "None" sqs receive-message --queue-url "$url/line.fifo" --query 'Messages[0].Body'
refused InvalidParameterValue sqs send-message --queue-url "$url/line.fifo" --message-body 3 --message-group-id a
want "" sqs delete-queue --queue-url "$url/line.fifo"

# high throughput: messages are known again in their group alone, and a delay that is changed counts for what is there
fast=FifoQueue=true,DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId,DelaySeconds=900,ContentBasedDeduplication=true
want "$url/fast.fifo" sqs create-queue --queue-name fast.fifo --attributes $fast --query QueueUrl
want "true	messageGroup	perMessageGroupId" sqs get-queue-attributes --queue-url "$url/fast.fifo" --attribute-names All \
  --query 'Attributes.[ContentBasedDeduplication,DeduplicationScope,FifoThroughputLimit]'
refused InvalidAttributeValue sqs set-queue-attributes --queue-url "$url/fast.fifo" --attributes DeduplicationScope=queue
refused InvalidParameterValue sqs create-queue --queue-name fast --attributes FifoQueue=true
want "a	b	c	d	e" sqs send-message-batch --queue-url "$url/fast.fifo" --query 'Successful[].Id' --entries \
  '[{"Id":"a","MessageBody":"1","MessageGroupId":"x"},{"Id":"b","MessageBody":"1","MessageGroupId":"y"},{"Id":"c","MessageBody":"2","MessageGroupId":"x"},
    {"Id":"d","MessageBody":"2","MessageGroupId":"x"},{"Id":"e","MessageBody":"3","MessageGroupId":"y"}]'
want "None" sqs receive-message --queue-url "$url/fast.fifo" --query 'Messages'
want "" sqs set-queue-attributes --queue-url "$url/fast.fifo" --attributes DelaySeconds=0
want "1	2	1	3" sqs receive-message --queue-url "$url/fast.fifo" --max-number-of-messages 10 --query 'Messages[].Body'
want "" sqs delete-queue --queue-url "$url/fast.fifo"

# dead letters of a FIFO queue, and back
want "$url/late.fifo" sqs create-queue --queue-name late.fifo --attributes FifoQueue=true,VisibilityTimeout=0 --query QueueUrl
want "$url/work.fifo" sqs create-queue --queue-name work.fifo --query QueueUrl --attributes \
  "{\"FifoQueue\":\"true\",\"VisibilityTimeout\":\"0\",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$q:late.fifo\\\",\\\"maxReceiveCount\\\":1}\"}"
refused InvalidParameterValue sqs set-queue-attributes --queue-url "$url/work.fifo" \
  --attributes "{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$q:dead\\\",\\\"maxReceiveCount\\\":1}\"}"
want "$url/work.fifo" sqs list-dead-letter-source-queues --queue-url "$url/late.fifo" --query queueUrls
want "3" sqs send-message-batch --queue-url "$url/work.fifo" --query 'length(Successful)' --entries \
  '[{"Id":"a","MessageBody":"1","MessageGroupId":"x","MessageDeduplicationId":"1"},{"Id":"b","MessageBody":"2","MessageGroupId":"y","MessageDeduplicationId":"2"},
    {"Id":"c","MessageBody":"3","MessageGroupId":"x","MessageDeduplicationId":"3"}]'
want "1	3	2" sqs receive-message --queue-url "$url/work.fifo" --max-number-of-messages 10 --query 'Messages[].Body'
want "None" sqs receive-message --queue-url "$url/work.fifo" --max-number-of-messages 10 --query 'Messages'
want "1	x	$q:work.fifo
3	x	$q:work.fifo
2	y	$q:work.fifo" sqs receive-message --queue-url "$url/late.fifo" --max-number-of-messages 10 --wait-time-seconds 10 --attribute-names All \
  --query 'Messages[].[Body,Attributes.MessageGroupId,Attributes.DeadLetterQueueSourceArn]'
sqs start-message-move-task --source-arn "$q:late.fifo" --query TaskHandle >/dev/null
for _ in 1 2 3 4 5 6 7 8 9; do [ "$(sqs list-message-move-tasks --source-arn "$q:late.fifo" --query 'Results[0].Status')" = RUNNING ] || break; done
want "COMPLETED	3" sqs list-message-move-tasks --source-arn "$q:late.fifo" --query 'Results[].[Status,ApproximateNumberOfMessagesMoved]'
want "1	3	2" sqs receive-message --queue-url "$url/work.fifo" --max-number-of-messages 10 --query 'Messages[].Body'
want "None" sqs receive-message --queue-url "$url/late.fifo" --query 'Messages'
for name in work late; do want "" sqs delete-queue --queue-url "$url/$name.fifo"; done

# messages; the CLI compares the digests itself
want "3858f62230ac3c915f300c664312c63f" sqs send-message --queue-url "$url/billing" --message-body foobar --query MD5OfMessageBody \
  --message-attributes '{"Foo":{"DataType":"String","StringValue":"Bar"}}'
want "foobar	Bar" sqs receive-message --queue-url "$url/billing" --message-attribute-names All --visibility-timeout 0 \
  --query 'Messages[0].[Body,MessageAttributes.Foo.StringValue]'
handle=$(sqs receive-message --queue-url "$url/billing" --query 'Messages[0].ReceiptHandle')
want "" sqs change-message-visibility --queue-url "$url/billing" --receipt-handle "$handle" --visibility-timeout 0
handle=$(sqs receive-message --queue-url "$url/billing" --query 'Messages[0].ReceiptHandle')
want "" sqs delete-message --queue-url "$url/billing" --receipt-handle "$handle"
want "a	b" sqs send-message-batch --queue-url "$url/billing" --entries '[{"Id":"a","MessageBody":"1"},{"Id":"b","MessageBody":"2"}]' --query 'Successful[].Id | sort(@)'
handle=$(sqs receive-message --queue-url "$url/billing" --query 'Messages[0].ReceiptHandle')
want "c" sqs change-message-visibility-batch --queue-url "$url/billing" --entries "[{\"Id\":\"c\",\"ReceiptHandle\":\"$handle\",\"VisibilityTimeout\":60}]" --query 'Successful[].Id'
want "d" sqs delete-message-batch --queue-url "$url/billing" --entries "[{\"Id\":\"d\",\"ReceiptHandle\":\"$handle\"}]" --query 'Successful[].Id'
ten=$(printf ',{"Id":"%d","MessageBody":"m"}' 1 2 3 4 5 6 7 8 9 10)
for _ in 1 2 3; do # half a minute at one a second: the CLI takes its time
  want "10" sqs send-message-batch --queue-url "$url/dead" --query 'length(Successful)' --entries "[${ten#,}]"
done
handle=$(sqs start-message-move-task --source-arn "$q:dead" --destination-arn "$q:billing" --max-number-of-messages-per-second 1 --query TaskHandle)
want "RUNNING	30" sqs list-message-move-tasks --source-arn "$q:dead" --query 'Results[].[Status,ApproximateNumberOfMessagesToMove]'
want "True" sqs cancel-message-move-task --task-handle "$handle" --query 'ApproximateNumberOfMessagesMoved < `30`'
want "" sqs purge-queue --queue-url "$url/billing"
want "None" sqs receive-message --queue-url "$url/billing" --query 'Messages'

# buses
want "$arn:event-bus/orders" events create-event-bus --name orders --description first --tags Key=team,Value=shop --query EventBusArn
refused ResourceAlreadyExistsException events create-event-bus --name orders
want "$arn:event-bus/orders" events update-event-bus --name orders --description second --query Arn
want "orders	second" events describe-event-bus --name orders --query '[Name,Description]'
want "default	orders" events list-event-buses --query 'EventBuses[].Name'
want "" events put-permission --event-bus-name orders --action events:PutEvents --principal 111122223333 --statement-id share
want "True" events describe-event-bus --name orders --query 'contains(Policy, `share`)'
want "" events remove-permission --event-bus-name orders --statement-id share

# rules and targets
want "$arn:rule/orders/paid" events put-rule --name paid --event-bus-name orders --query RuleArn \
  --event-pattern '{"detail-type":["paid"],"detail":{"total":[{"numeric":[">",100]}]}}'
want "" events disable-rule --name paid --event-bus-name orders
want "DISABLED	orders" events describe-rule --name paid --event-bus-name orders --query '[State,EventBusName]'
want "" events enable-rule --name paid --event-bus-name orders
want "paid	ENABLED" events list-rules --event-bus-name orders --query 'Rules[].[Name,State]'
want "0" events put-targets --rule paid --event-bus-name orders --query FailedEntryCount --targets "[{\"Id\":\"billing\",\"Arn\":\"$q:billing\",
  \"DeadLetterConfig\":{\"Arn\":\"$q:dead\"},\"RetryPolicy\":{\"MaximumRetryAttempts\":3,\"MaximumEventAgeInSeconds\":600},
  \"InputTransformer\":{\"InputPathsMap\":{\"id\":\"\$.detail.id\"},\"InputTemplate\":\"{\\\"paid\\\": <id>}\"}}]"
want "billing	3	\$.detail.id" events list-targets-by-rule --rule paid --event-bus-name orders \
  --query 'Targets[].[Id,RetryPolicy.MaximumRetryAttempts,InputTransformer.InputPathsMap.id]'
want "paid" events list-rule-names-by-target --target-arn "$q:billing" --event-bus-name orders --query RuleNames
want "" events tag-resource --resource-arn "$arn:rule/orders/paid" --tags Key=a,Value=1 Key=b,Value=2
want "" events untag-resource --resource-arn "$arn:rule/orders/paid" --tag-keys a
# rialto's own tags: AWS allows fewer characters, and the shorthand of the CLI wants quotes where there are brackets
want "" events tag-resource --resource-arn "$arn:rule/orders/paid" --tags 'Key=rialto:order-by,Value="$.detail.items[0].id"' Key=rialto:breaker,Value=50%/30s
want "" events untag-resource --resource-arn "$arn:rule/orders/paid" --tag-keys rialto:order-by rialto:breaker
refused ValidationException events tag-resource --resource-arn "$arn:rule/orders/paid" --tags Key=rialto:rate,Value=200
want "b	2" events list-tags-for-resource --resource-arn "$arn:rule/orders/paid" --query 'Tags[].[Key,Value]'
refused InvalidEventPatternException events put-rule --name bad --event-pattern '{"source":[]}'
refused ValidationException events delete-rule --name paid --event-bus-name orders

# events
want "True" events test-event-pattern --event-pattern '{"source":["shop"]}' --query Result \
  --event '{"id":"1","detail-type":"paid","source":"shop","account":"000000000000","time":"2026-03-01T10:00:00Z","region":"us-east-1","resources":[],"detail":{}}'
want "0" events put-events --query FailedEntryCount --entries '[{"EventBusName":"orders","Source":"shop","DetailType":"paid","Detail":"{\"id\":\"o-17\",\"total\":250}"}]'
want '{"paid": "o-17"}' sqs receive-message --queue-url "$url/billing" --wait-time-seconds 10 --query 'Messages[0].Body'

# connections and API destinations
connection=$(events create-connection --name crm --authorization-type BASIC --query ConnectionArn \
  --auth-parameters '{"BasicAuthParameters":{"Username":"ada","Password":"secret"}}')
want "AUTHORIZED	ada	None" events describe-connection --name crm \
  --query '[ConnectionState,AuthParameters.BasicAuthParameters.Username,AuthParameters.BasicAuthParameters.Password]'
secret=$(events describe-connection --name crm --query SecretArn)
want '{"username":"ada","password":"secret"}' secretsmanager get-secret-value --secret-id "$secret" --query SecretString
want "events" secretsmanager describe-secret --secret-id "$secret" --query OwningService
want "$secret" secretsmanager list-secrets --filters Key=name,Values='events!connection/crm/' --query 'SecretList[].ARN'
want "AWSCURRENT" secretsmanager list-secret-version-ids --secret-id "$secret" --query 'Versions[].VersionStages[]'
want "$secret" secretsmanager get-resource-policy --secret-id "$secret" --query ARN
refused InvalidRequestException secretsmanager delete-secret --secret-id "$secret"
want "$connection" events update-connection --name crm --description new --query ConnectionArn
want "crm" events list-connections --name-prefix crm --query 'Connections[].Name'
# Version 1 of the CLI would fetch an argument that is a URL.
destination=$(events create-api-destination --name crm --connection-arn "$connection" --http-method POST \
  --cli-input-json "{\"InvocationEndpoint\":\"$HOOK_URL/customers\"}" --query ApiDestinationArn)
want "ACTIVE	300" events describe-api-destination --name crm --query '[ApiDestinationState,InvocationRateLimitPerSecond]'
want "$destination" events update-api-destination --name crm --invocation-rate-limit-per-second 20 --query ApiDestinationArn
want "crm	20" events list-api-destinations --name-prefix crm --query 'ApiDestinations[].[Name,InvocationRateLimitPerSecond]'
want "$connection" events deauthorize-connection --name crm --query ConnectionArn

# archives and replays
want "$arn:archive/kept	ENABLED" events create-archive --archive-name kept --event-source-arn "$arn:event-bus/orders" --event-pattern '{"source": ["till"]}' --query '[ArchiveArn,State]'
want "0" events put-events --entries '{"Source":"till","DetailType":"closed","Detail":"{}","EventBusName":"orders","Time":"2026-03-05T10:01:02Z"}' '{"Source":"till","DetailType":"closed","Detail":"{}","EventBusName":"orders","Time":"2026-03-05T10:01:03Z"}' --query FailedEntryCount
want "2	0" events describe-archive --archive-name kept --query '[EventCount,RetentionDays]'
want "ENABLED" events update-archive --archive-name kept --retention-days 7 --query State
want "kept	7" events list-archives --name-prefix kept --query 'Archives[].[ArchiveName,RetentionDays]'
replay() { # NAME
  events start-replay --replay-name "$1" --event-source-arn "$arn:archive/kept" --event-start-time 2026-03-01T00:00:00Z \
    --event-end-time 2026-04-01T00:00:00Z --destination "Arn=$arn:event-bus/orders" --query State
}
want "STARTING" replay again
refused ResourceAlreadyExistsException replay again
for _ in 1 2 3 4 5 6 7 8 9; do [ "$(events describe-replay --replay-name again --query State)" = COMPLETED ] && break; done
want "COMPLETED" events describe-replay --replay-name again --query State
want "again" events list-replays --state COMPLETED --query 'Replays[].ReplayName'
refused IllegalStatusException events cancel-replay --replay-name again
want "" curl --silent --fail --output /dev/null --data '{"name": "slow", "archive": "kept", "speed": {"perSecond": 0.01}}' "$AWS_ENDPOINT_URL/_rialto/v1/replays" # one that lasts is rialto's own
want "CANCELLING" events cancel-replay --replay-name slow --query State
want "" events delete-archive --archive-name kept
refused ResourceNotFoundException events describe-archive --archive-name kept

# topics
t=arn:aws:sns:us-east-1:000000000000
want "$t:orders" sns create-topic --name orders --attributes DisplayName=Orders --tags Key=team,Value=shop
want "$t:orders" sns create-topic --name orders
refused InvalidParameter sns create-topic --name 'or ders'
want "$t:orders" sns list-topics --query 'Topics[].TopicArn'
want "" sns set-topic-attributes --topic-arn "$t:orders" --attribute-name SignatureVersion --attribute-value 2
want "Orders	2" sns get-topic-attributes --topic-arn "$t:orders" --query 'Attributes.[DisplayName,SignatureVersion]'
refused NotFound sns get-topic-attributes --topic-arn "$t:none"
want "" sns tag-resource --resource-arn "$t:orders" --tags Key=stage,Value=test
want "stage	test
team	shop" sns list-tags-for-resource --resource-arn "$t:orders" --query 'sort_by(Tags, &Key)[].[Key,Value]'
want "" sns untag-resource --resource-arn "$t:orders" --tag-keys stage
want "" sns add-permission --topic-arn "$t:orders" --label share --aws-account-id 111122223333 --action-name Publish
want "" sns remove-permission --topic-arn "$t:orders" --label share
want "" sns put-data-protection-policy --resource-arn "$t:orders" --data-protection-policy '{"Name":"p","Version":"2021-06-01","Statement":[]}'
want '{"Name":"p","Version":"2021-06-01","Statement":[]}' sns get-data-protection-policy --resource-arn "$t:orders" --query DataProtectionPolicy

# subscriptions
for name in everything dear; do want "$url/$name" sqs create-queue --queue-name $name --query QueueUrl; done
first=$(sns subscribe --topic-arn "$t:orders" --protocol sqs --notification-endpoint "$q:everything")
second=$(sns subscribe --topic-arn "$t:orders" --protocol sqs --notification-endpoint "$q:dear" \
  --attributes '{"RawMessageDelivery":"true","FilterPolicy":"{\"total\":[{\"numeric\":[\">=\",100]}]}"}')
want "$first" sns subscribe --topic-arn "$t:orders" --protocol sqs --notification-endpoint "$q:everything"
want "2	2" sns list-subscriptions --query '[length(Subscriptions),length(Subscriptions)]'
want "$(printf '%s\n' "$first" "$second" | sort)" sns list-subscriptions-by-topic --topic-arn "$t:orders" --query 'sort_by(Subscriptions,&SubscriptionArn)[].[SubscriptionArn]'
want "MessageAttributes	true" sns get-subscription-attributes --subscription-arn "$second" --query 'Attributes.[FilterPolicyScope,RawMessageDelivery]'
want 36 bash -c "aws sns publish --topic-arn $t:orders --message hello --message-attributes '{\"total\":{\"DataType\":\"Number\",\"StringValue\":\"100.0\"}}' --query 'length(MessageId)' --output text"
want "a	b" sns publish-batch --topic-arn "$t:orders" --query 'sort(Successful[].Id)' \
  --publish-batch-request-entries '[{"Id":"a","Message":"1"},{"Id":"b","Message":"2","MessageAttributes":{"total":{"DataType":"Number","StringValue":"99.9"}}}]'
want "hello	100.0" sqs receive-message --queue-url "$url/dear" --wait-time-seconds 10 --message-attribute-names All --query 'Messages[].[Body,MessageAttributes.total.StringValue]'
want "" sns set-subscription-attributes --subscription-arn "$second" --attribute-name FilterPolicyScope --attribute-value MessageBody
want "" sns set-subscription-attributes --subscription-arn "$second" --attribute-name FilterPolicy --attribute-value '{"order":{"total":[100]}}'
refused InvalidParameter sns set-subscription-attributes --subscription-arn "$second" --attribute-name FilterPolicy --attribute-value '{"a":[]}'
pending=$(sns subscribe --topic-arn "$t:orders" --protocol http --cli-input-json "{\"Endpoint\":\"$DOOR_URL/orders\"}")
want "pending confirmation" echo "$pending"
token=$(curl --silent --fail "$DOOR_URL" | grep -o '"Token" *: *"[0-9a-f]*"' | grep -o '[0-9a-f]\{200,\}')
third=$(sns confirm-subscription --topic-arn "$t:orders" --token "$token" --query SubscriptionArn)
want "http" sns get-subscription-attributes --subscription-arn "$third" --query Attributes.Protocol
want "" sns unsubscribe --subscription-arn "$first"
refused NotFound sns get-subscription-attributes --subscription-arn "$first"
want "" sns delete-topic --topic-arn "$t:orders"
for name in everything dear; do want "" sqs delete-queue --queue-url "$url/$name"; done

# a FIFO topic: known by content and in their groups, in order, and a dead letter
want "$url/journal.fifo" sqs create-queue --queue-name journal.fifo --attributes FifoQueue=true,DeduplicationScope=messageGroup --query QueueUrl
want "$url/late.fifo" sqs create-queue --queue-name late.fifo --attributes FifoQueue=true --query QueueUrl
want "$t:journal.fifo" sns create-topic --name journal.fifo --attributes FifoTopic=true,ContentBasedDeduplication=true,FifoThroughputScope=MessageGroup
want "true	true	MessageGroup" sns get-topic-attributes --topic-arn "$t:journal.fifo" --query 'Attributes.[FifoTopic,ContentBasedDeduplication,FifoThroughputScope]'
refused InvalidParameter sns create-topic --name journal --attributes FifoTopic=true
refused InvalidParameter sns subscribe --topic-arn "$t:journal.fifo" --protocol sqs --notification-endpoint "$q:journal.fifo" \
  --attributes "{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$q:dead\\\"}\"}"
subscription=$(sns subscribe --topic-arn "$t:journal.fifo" --protocol sqs --notification-endpoint "$q:journal.fifo" \
  --attributes "{\"RawMessageDelivery\":\"true\",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$q:late.fifo\\\"}\"}")
want "{\"deadLetterTargetArn\":\"$q:late.fifo\"}" sns get-subscription-attributes --subscription-arn "$subscription" --query Attributes.RedrivePolicy
number=$(sns publish --topic-arn "$t:journal.fifo" --message 1 --message-group-id x --query SequenceNumber)
want "$number" sns publish --topic-arn "$t:journal.fifo" --message 1 --message-group-id x --query SequenceNumber
want "a	b" sns publish-batch --topic-arn "$t:journal.fifo" --query 'Successful[].Id' --publish-batch-request-entries \
  '[{"Id":"a","Message":"1","MessageGroupId":"y"},{"Id":"b","Message":"2","MessageGroupId":"x"}]'
refused InvalidParameter sns publish --topic-arn "$t:journal.fifo" --message 3
came=""
for _ in 1 2 3; do
  read -r body group handle < <(sqs receive-message --queue-url "$url/journal.fifo" --wait-time-seconds 10 --attribute-names All \
    --query 'Messages[0].[Body,Attributes.MessageGroupId,ReceiptHandle]')
  want "" sqs delete-message --queue-url "$url/journal.fifo" --receipt-handle "$handle"
  came="$came$group$body "
done
want "1 2 " bash -c "for m in $came; do case \$m in x*) printf '%s ' \${m#x};; esac; done" # of one group in order
want "1 " bash -c "for m in $came; do case \$m in y*) printf '%s ' \${m#y};; esac; done"
want "" sqs delete-queue --queue-url "$url/journal.fifo"
want "20" sns publish --topic-arn "$t:journal.fifo" --message 4 --message-group-id x --query 'length(SequenceNumber)'
want "4	x" sqs receive-message --queue-url "$url/late.fifo" --wait-time-seconds 20 --attribute-names All --query 'Messages[0].[Body,Attributes.MessageGroupId]'
want "" sns delete-topic --topic-arn "$t:journal.fifo"
want "" sqs delete-queue --queue-url "$url/late.fifo"

# what topics could reach elsewhere
want "" sns list-platform-applications --query PlatformApplications
want "" sns list-phone-numbers-opted-out --query phoneNumbers
want "" sns list-sms-sandbox-phone-numbers --query PhoneNumbers
want "" sns list-origination-numbers --query PhoneNumbers
want "True" sns get-sms-sandbox-account-status --query IsInSandbox
want "" sns get-sms-attributes --query 'attributes.*'

# what is not there yet is empty
want "" events list-endpoints --query Endpoints
want "" events list-event-sources --query EventSources
want "" events list-partner-event-sources --name-prefix aws.partner/none/ --query PartnerEventSources

# the end
want "" events delete-api-destination --name crm
want "$connection" events delete-connection --name crm --query ConnectionArn
want "0" events remove-targets --rule paid --event-bus-name orders --ids billing --query FailedEntryCount
want "" events delete-rule --name paid --event-bus-name orders
refused ResourceNotFoundException events describe-rule --name paid --event-bus-name orders
want "" events delete-event-bus --name orders
want "" sqs delete-queue --queue-url "$url/billing"
want "" sqs delete-queue --queue-url "$url/dead"

exit $failed
