namespace MailPipeline.Sasl;

/// <summary>What a client says it is, and by what it shows that. Never logged.</summary>
/// <param name="UserName">As the client gave it, prepared (<see cref="SaslPrep"/>): no controls in it.</param>
public abstract record SaslClaim(string UserName)
{
    // Secrets stay out of whatever prints a record.
    public sealed override string ToString() => GetType().Name;
}

/// <summary>A name and the password that belongs to it, for the host to compare.</summary>
public sealed record PasswordClaim(string UserName, string Password) : SaslClaim(UserName);
