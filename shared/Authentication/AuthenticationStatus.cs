namespace MailPipeline.Authentication;

/// <summary>What a method of message authentication found (RFC 8601 §2.7); one list for all methods, of which each uses its own part.</summary>
public enum AuthenticationStatus
{
    /// <summary>There was nothing to be judged: no signature, no record.</summary>
    None,

    Pass,

    Fail,

    /// <summary>SPF: probably not permitted (RFC 7208 §2.6.5).</summary>
    SoftFail,

    /// <summary>The domain says nothing of it, or what is there cannot be judged.</summary>
    Neutral,

    /// <summary>What was found is not accepted by a rule of ours: a key that is too short, a signature that covers too little.</summary>
    Policy,

    /// <summary>It could not be found out now: DNS did not answer, or not in time.</summary>
    TemporaryError,

    /// <summary>What is published or signed cannot be understood, and will not be later.</summary>
    PermanentError,
}

/// <summary>A status as an Authentication-Results field spells it.</summary>
public static class AuthenticationWords
{
    public static string Of(AuthenticationStatus status) => status switch
    {
        AuthenticationStatus.None => "none",
        AuthenticationStatus.Pass => "pass",
        AuthenticationStatus.Fail => "fail",
        AuthenticationStatus.SoftFail => "softfail",
        AuthenticationStatus.Neutral => "neutral",
        AuthenticationStatus.Policy => "policy",
        AuthenticationStatus.TemporaryError => "temperror",
        AuthenticationStatus.PermanentError => "permerror",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "No such status."),
    };
}
