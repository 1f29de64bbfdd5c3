namespace MailPipeline.Smtp;

/// <summary>The parameters of RCPT, as <see cref="MailParameters"/> are those of MAIL. No extension that we have adds one.</summary>
internal struct RcptParameters;
