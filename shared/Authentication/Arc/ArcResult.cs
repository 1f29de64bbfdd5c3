namespace MailPipeline.Authentication.Arc;

/// <summary>What was found of the chain of ARC sets of a message (RFC 8617 §5.2).</summary>
/// <param name="Status">None, pass or fail; or a temporary error, where DNS did not answer.</param>
/// <param name="Sealer">The domain of the newest seal, in A-labels and lower case; empty where there is none.</param>
/// <param name="Sets">How many sets the chain has.</param>
/// <param name="Reason">In words, why it is no pass; empty otherwise.</param>
public sealed record ArcResult(AuthenticationStatus Status, string Sealer, int Sets, string Reason)
{
    /// <summary>A further set may be put in front. Not of a chain about which DNS said nothing: the next who reads it may hear more.</summary>
    public bool MayBeSealed => Status is AuthenticationStatus.None or AuthenticationStatus.Pass or AuthenticationStatus.Fail;

    public static ArcResult None { get; } = new(AuthenticationStatus.None, "", 0, "");

    /// <summary>The domains of all seals, the newest first: those that an operator may trust to say what they saw.</summary>
    public IReadOnlyList<string> Sealers { get; init; } = [];

    /// <summary>Of a chain that passes: what each of the sealers says that it saw, the values of their ARC-Authentication-Results, the newest first.</summary>
    public IReadOnlyList<string> Results { get; init; } = [];

    /// <summary>l= of the newest signature leaves some of the body out: a chain that passes says nothing of the text there.</summary>
    public bool LeavesBodyUncovered { get; init; }
}
