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

/// <summary>A name and a proof that was judged by the keys the host gave for it.</summary>
/// <param name="Keys">For the host to see that they are still the name's.</param>
/// <param name="IsProven">The client knows the password of the keys. False: the host counts a failure.</param>
public sealed record ScramClaim(string UserName, ScramKeys Keys, bool IsProven) : SaslClaim(UserName);
