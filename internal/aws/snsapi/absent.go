package snsapi

import "context"

// rialto sends no text messages and knows no push services. It says so when somebody wants one, but tools that list what there is, as
// consoles do, get an empty list.

func (f *Front) GetSMSAttributes(context.Context, *GetSMSAttributesInput) (*GetSMSAttributesOutput, error) {
	return &GetSMSAttributesOutput{Attributes: map[string]string{}}, nil
}

// GetSMSSandboxAccountStatus says that the account is in the sandbox, in which nothing is sent to anybody who has not asked for it.
func (f *Front) GetSMSSandboxAccountStatus(context.Context, *GetSMSSandboxAccountStatusInput) (*GetSMSSandboxAccountStatusOutput, error) {
	return &GetSMSSandboxAccountStatusOutput{IsInSandbox: new(true)}, nil
}

func (f *Front) ListOriginationNumbers(context.Context, *ListOriginationNumbersInput) (*ListOriginationNumbersOutput, error) {
	return &ListOriginationNumbersOutput{PhoneNumbers: []PhoneNumberInformation{}}, nil
}

func (f *Front) ListPhoneNumbersOptedOut(context.Context, *ListPhoneNumbersOptedOutInput) (*ListPhoneNumbersOptedOutOutput, error) {
	return &ListPhoneNumbersOptedOutOutput{PhoneNumbers: []string{}}, nil
}

func (f *Front) ListPlatformApplications(context.Context, *ListPlatformApplicationsInput) (*ListPlatformApplicationsOutput, error) {
	return &ListPlatformApplicationsOutput{PlatformApplications: []PlatformApplication{}}, nil
}

func (f *Front) ListSMSSandboxPhoneNumbers(context.Context, *ListSMSSandboxPhoneNumbersInput) (*ListSMSSandboxPhoneNumbersOutput, error) {
	return &ListSMSSandboxPhoneNumbersOutput{PhoneNumbers: []SMSSandboxPhoneNumber{}}, nil
}
