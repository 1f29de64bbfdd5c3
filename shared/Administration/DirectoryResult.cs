using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>What became of a change of domains, accounts or aliases: one of the records in this file, and of no others.</summary>
public abstract record DirectoryResult
{
    private protected DirectoryResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

/// <param name="HasPostmaster">Somebody reads what is written to its postmaster (RFC 5321 §4.5.1).</param>
/// <param name="Broken">Aliases that led to an address of the domain while it was somebody else's, and now lead nowhere.</param>
public sealed record DomainAdded(string Domain, bool HasPostmaster, IReadOnlyList<Alias> Broken) : DirectoryResult(ActStatus.Done);

/// <param name="Other">The domain that it stands for.</param>
/// <param name="Broken">Aliases that led to an address of the domain while it was somebody else's, and now lead nowhere.</param>
public sealed record DomainAliasAdded(string Domain, string Other, IReadOnlyList<Alias> Broken) : DirectoryResult(ActStatus.Done);

/// <param name="Relay">Where its mail goes: <see cref="NextHop"/>, or <see cref="MailDomain.ByMx"/>.</param>
/// <param name="Broken">Aliases that led to an address of the domain while it was somebody else's, and now lead nowhere.</param>
public sealed record DomainRelayAdded(string Domain, string Relay, RelayRecipients Recipients, IReadOnlyList<Alias> Broken) : DirectoryResult(ActStatus.Done);

/// <summary>The account or alias domain is not added: the domain's mail goes elsewhere.</summary>
public sealed record DomainIsRelayed(string Domain, string Relay) : DirectoryResult(ActStatus.NotDone);

public sealed record NotANextHop(string Typed) : DirectoryResult(ActStatus.Refused);

/// <summary>The account, alias or further alias domain is not added: the domain has no addresses but those of another.</summary>
/// <param name="Other">Where they are.</param>
public sealed record DomainIsAlias(string Domain, string Other) : DirectoryResult(ActStatus.NotDone);

/// <summary>The domain is not removed: others stand for it, and are to be removed before it.</summary>
public sealed record HasAliasDomains(string Domain, IReadOnlyList<string> Aliases) : DirectoryResult(ActStatus.NotDone);

/// <param name="Idle">Its own aliases, which do nothing until it is ours again.</param>
/// <param name="Leaving">Aliases of other domains of ours that lead to it: their mail goes to whatever system receives its mail now.</param>
public sealed record DomainRemoved(string Domain, IReadOnlyList<Alias> Idle, IReadOnlyList<Alias> Leaving) : DirectoryResult(ActStatus.Done);

/// <summary>The domain is not removed: its accounts are to be removed before it.</summary>
public sealed record HasAccounts(string Domain, long Accounts) : DirectoryResult(ActStatus.NotDone);

/// <summary>The domain is none of ours.</summary>
public sealed record NoSuchDomain(string Domain) : DirectoryResult(ActStatus.NotDone);

/// <summary>The account or alias is not added: its domain is not ours.</summary>
public sealed record DomainNotOurs(string Domain) : DirectoryResult(ActStatus.NotDone);

public sealed record DomainAlreadyThere(string Domain) : DirectoryResult(ActStatus.NotDone);

/// <param name="Postmaster">The postmaster's address whose mail the account gets from now on; null when another has it.</param>
public sealed record AccountAdded(string Address, string? Postmaster) : DirectoryResult(ActStatus.Done);

/// <summary>The account may be added, as far as can be told before its password is known.</summary>
public sealed record AccountMayBeAdded(string Address) : DirectoryResult(ActStatus.Done);

public sealed record AccountAlreadyThere(string Address) : DirectoryResult(ActStatus.NotDone);

public sealed record NoSuchAccount(string Address) : DirectoryResult(ActStatus.NotDone);

/// <summary>The account is there, and its password may be changed.</summary>
public sealed record AccountIsThere(string Address) : DirectoryResult(ActStatus.Done);

public sealed record PasswordChanged(string Address) : DirectoryResult(ActStatus.Done);

/// <param name="Broken">Aliases that led to the account, and now lead nowhere.</param>
public sealed record AccountRemoved(string Address, IReadOnlyList<Alias> Broken) : DirectoryResult(ActStatus.Done);

/// <param name="PassesOver">An account has the same name, and gets no more mail itself.</param>
public sealed record AliasAdded(Alias Alias, bool PassesOver) : DirectoryResult(ActStatus.Done);

public sealed record AliasAlreadyThere(Alias Alias) : DirectoryResult(ActStatus.NotDone);

/// <summary>The alias is not added: with it an address would lead nowhere, in a circle, too far or to too many.</summary>
/// <param name="Address">The address that would have the fault: the alias's target, or one that leads to the alias.</param>
/// <param name="Circle">The names on the way from one back to itself; empty where none would be met.</param>
public sealed record AliasFaulty(Alias Alias, AddressFault Fault, string Address, IReadOnlyList<string> Circle) : DirectoryResult(ActStatus.NotDone);

/// <param name="Broken">Aliases that led to this one, and now lead nowhere.</param>
public sealed record AliasRemoved(Alias Alias, IReadOnlyList<Alias> Broken) : DirectoryResult(ActStatus.Done);

public sealed record NoSuchAlias(Alias Alias) : DirectoryResult(ActStatus.NotDone);

public sealed record NotADomain(string Typed) : DirectoryResult(ActStatus.Refused);

public sealed record NotAnAddress(string Typed) : DirectoryResult(ActStatus.Refused);

/// <summary>An address, but none that can be typed as a user name in every protocol (<see cref="MailNames.Account"/>).</summary>
public sealed record NotAnAccountName(string Typed, int MaxLocalPart, int MaxLength) : DirectoryResult(ActStatus.Refused);

public sealed record PasswordEmpty() : DirectoryResult(ActStatus.Refused);

public sealed record PasswordTooShort(int Length, int MinLength) : DirectoryResult(ActStatus.Refused);

/// <summary>The password contains NUL, which no protocol can carry.</summary>
public sealed record PasswordWithNul() : DirectoryResult(ActStatus.Refused);
