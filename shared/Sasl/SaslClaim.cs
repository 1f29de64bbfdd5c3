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

/// <summary>A token of an issuer, for the host to have judged.</summary>
/// <param name="UserName">Whom the client wants to be; empty: whom the token names.</param>
/// <param name="Token">Empty: the client has none, and asks where to get one.</param>
public sealed record TokenClaim(string UserName, string Token) : SaslClaim(UserName);
