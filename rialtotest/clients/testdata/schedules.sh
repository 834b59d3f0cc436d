# Makes a schedule with the AWS CLI, and sees it fire.
failed=0
queue=arn:aws:sqs:us-east-1:000000000000:work
url=$AWS_ENDPOINT_URL/000000000000/work

# want compares what a command of the CLI prints.
want() {
  local expected=$1 got
  shift
  got=$(aws "$@" --endpoint-url "$AWS_ENDPOINT_URL" --output text 2>&1) # version 1 does not look at the variable
  if [ "$got" != "$expected" ]; then
    echo "aws $*: got $got, want $expected"
    failed=1
  fi
}

want "$url" sqs create-queue --queue-name work --query QueueUrl
want "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g1" scheduler create-schedule-group --name g1 --query ScheduleGroupArn
at=$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%S)
want "arn:aws:scheduler:us-east-1:000000000000:schedule/g1/once" scheduler create-schedule --name once --group-name g1 --schedule-expression "at($at)" \
  --flexible-time-window Mode=OFF --target "{\"Arn\":\"$queue\",\"RoleArn\":\"arn:aws:iam::000000000000:role/scheduler\",\"Input\":\"at <aws.scheduler.scheduled-time>\"}" \
  --query ScheduleArn
want "once	ENABLED" scheduler list-schedules --group-name g1 --query 'Schedules[].[Name,State]'
want "at ${at}Z" sqs receive-message --queue-url "$url" --wait-time-seconds 20 --query 'Messages[].Body'
want "at($at)" scheduler get-schedule --name once --group-name g1 --query ScheduleExpression
want "arn:aws:scheduler:us-east-1:000000000000:schedule/g1/once" scheduler update-schedule --name once --group-name g1 --schedule-expression "rate(1 day)" --state DISABLED \
  --flexible-time-window Mode=OFF --target "{\"Arn\":\"$queue\",\"RoleArn\":\"arn:aws:iam::000000000000:role/scheduler\"}" --query ScheduleArn
want "DISABLED" scheduler get-schedule --name once --group-name g1 --query State
want "" scheduler delete-schedule --name once --group-name g1
want "" scheduler delete-schedule-group --name g1

exit $failed
